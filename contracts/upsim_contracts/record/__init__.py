"""`upsim record`: a reverse proxy that writes requests and responses to a cassette."""
