"""The contract between Atlas's parts: keys, schema, formats, settings. Standard library only."""
