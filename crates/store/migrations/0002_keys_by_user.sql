-- Every page and workspace asks for the keys of one user; without this all keys of all users are read.
CREATE INDEX ssh_keys_by_user ON ssh_keys (user_id);
