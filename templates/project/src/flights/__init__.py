"""ML code: features and models. Knows nothing of tables, jobs or registries."""
