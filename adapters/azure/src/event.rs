//! What the Functions host's requests look like, and what they say.
