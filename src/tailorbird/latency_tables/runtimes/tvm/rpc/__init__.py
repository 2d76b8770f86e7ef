"""All that talks to TVM's RPC servers and trackers."""
