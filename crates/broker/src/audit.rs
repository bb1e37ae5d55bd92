//! Writing the audit log. What stands in it is for people to read and is never a secret.
