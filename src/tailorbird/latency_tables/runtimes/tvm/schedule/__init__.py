"""Loops of one kernel; knows no torch, file or process."""
