"""`upsim drift`: compare cassettes with the documents and with the simulator."""
