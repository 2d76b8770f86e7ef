"""Files that others wrote, of which no more is read or unpacked than they may hold."""
