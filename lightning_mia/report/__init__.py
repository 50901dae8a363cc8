"""What a run leaves behind: results, scores, figures, pages."""
