//! What the requests to Azure's services have in common: signatures, and what errors mean.
