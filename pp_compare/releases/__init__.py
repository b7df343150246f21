"""Many versions of one engine, each where it runs, judged alike and held against each other."""
