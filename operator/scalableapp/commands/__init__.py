"""The commands at a terminal: `scalableapp`, which is also the plugin of kubectl."""
