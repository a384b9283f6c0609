"""`upsim record`: a reverse proxy that writes what passes into a cassette."""
