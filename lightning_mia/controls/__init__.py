"""What must not separate members from non-members."""
