"""What every app's HTTP layer shares: problems, request bodies, paging, times."""
