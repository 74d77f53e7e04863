"""A product catalogue: some 160,000 rows in SQLite or PostgreSQL, with slow queries beside the ones that mend them.

`models` are the tables, `seed` fills them, `database` opens and counts, `queries` read, `plans` show what that costs,
`views` are the pages.
"""
