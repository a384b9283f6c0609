"""The admin API below `/__sim`.

`app` lists its calls; each call is in one module with its body. Each response has a shape
(`*_shapes`), and the fields of a shape have the names of the attributes that they show.
`shape_fields.show` fills the shape, and the views (`views`, `*_views`) add computed values.
The OpenAPI document is made from the same shapes. All times are ISO 8601 texts in UTC, and
amounts are exact decimals as texts.
"""
