//! The platforms' own rules played on loopback, faults on demand. Shares no code with the client.
