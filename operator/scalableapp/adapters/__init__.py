"""One foreign system per file; foreign types and errors stop here."""
