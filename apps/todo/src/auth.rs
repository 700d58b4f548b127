//! Authentication: passwords, and tokens that replace them for an hour.

use std::num::NonZeroU32;

use isobar::prelude::*;
use isobar::{BoxError, clock::to_millis};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use serde::{Deserialize, Serialize};
use serde_json::json;

const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// A name and a password, as a client sends them.
#[derive(Deserialize)]
pub(crate) struct Login {
    username: String,
    password: String,
}

/// What is kept of a password.
#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    salt: [u8; 16],
    hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

#[derive(Clone)]
pub(crate) struct Auth {
    pub(crate) users: Table<User>,
    pub(crate) key: Secret,
}

impl Auth {
    pub(crate) async fn add_user(self, new: Login, _cx: Context) -> Result<(), BoxError> {
        let mut user = User { salt: [0; 16], hash: [0; 32] };
        getrandom::fill(&mut user.salt)?;
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, &user.salt, new.password.as_bytes(), &mut user.hash);
        self.users.put_with(new.username, &user, PutMode::Create).await?;
        Ok(())
    }

    /// The key that signs tokens. Errors: `Config` for one of less than 32 bytes.
    async fn key(&self) -> Result<SecretValue> {
        let key = self.key.get().await?;
        if key.reveal().len() < 32 {
            return Err(Error::config("the secret `auth-key` signs the tokens: set it to 32 bytes or more"));
        }
        Ok(key)
    }

    /// The user of a request with these headers.
    pub(crate) async fn caller(&self, headers: &HeaderMap, cx: &Context) -> Result<String, Problem> {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Problem::unauthorized("no token"))?;
        // The expiry is checked below: jsonwebtoken reads the machine's clock, which is not the one of the token.
        let mut rules = Validation::default();
        rules.validate_exp = false;
        let key = DecodingKey::from_secret(self.key().await?.reveal().as_bytes());
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules);
        let claims = claims.map_err(|error| Problem::unauthorized("bad token").with_source(error))?.claims;
        if claims.exp < to_millis(cx.now()) / 1_000 {
            return Err(Problem::unauthorized("the token has expired"));
        }
        Ok(claims.sub)
    }
}

pub(crate) async fn login(State(auth): State<Auth>, cx: Context, Json(me): Json<Login>) -> Result<Response, Problem> {
    let password = me.password.as_bytes();
    let is_right = |user: User| pbkdf2::verify(PBKDF2_HMAC_SHA256, ROUNDS, &user.salt, password, &user.hash).is_ok();
    if !auth.users.get(&me.username).await?.is_some_and(is_right) {
        return Err(Problem::unauthorized("wrong user or password"));
    }
    let claims = Claims { sub: me.username, exp: to_millis(cx.now()) / 1_000 + 3_600 };
    let key = EncodingKey::from_secret(auth.key().await?.reveal().as_bytes());
    Ok(Json(json!({ "token": jsonwebtoken::encode(&Header::default(), &claims, &key)? })).into_response())
}
