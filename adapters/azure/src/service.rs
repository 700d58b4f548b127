//! What the requests to Azure's services have in common: signatures, and what errors mean.

#[cfg(test)]
pub(crate) mod double;
