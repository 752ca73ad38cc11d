"""Reports over everything. Its tables and operations come with the complete monolith."""
