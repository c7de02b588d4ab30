"""What a side remembers: its log, its witnesses, its backups."""
