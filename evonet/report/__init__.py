"""What people look at: tables from the record, pictures from tables, lines on the terminal."""
