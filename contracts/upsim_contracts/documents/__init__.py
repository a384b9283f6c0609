"""Each provider's OpenAPI documents, and the checks of requests and responses against them."""
