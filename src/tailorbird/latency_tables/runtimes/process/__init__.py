"""The process that runs compiled programs and may be killed: parent, child and protocol."""
