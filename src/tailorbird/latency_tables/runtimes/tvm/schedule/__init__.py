"""Schedules of one kernel's loops; knows no torch, file or process."""
