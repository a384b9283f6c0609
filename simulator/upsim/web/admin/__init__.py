"""The admin API below `/__sim`.

`app` lists its calls; a call and the body that it takes stand in a module together. Each response
has a shape (`*_shapes`), whose fields name the attributes that they show: `shape_fields.show` fills
it, the views (`views`, `*_views`) add what no attribute holds, and the OpenAPI document is made of
the same shapes. Everywhere instants are ISO 8601 texts in UTC, and amounts are exact decimals as
texts.
"""
