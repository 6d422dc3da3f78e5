"""Tree-structured sentiment and disambiguation for Chinese and English."""
