"""The admin API below `/__sim`.

`app` lists its calls; each call is in one module with its body. Each response has a shape
(`*_shapes`) whose fields name the attributes that they show: `shape_fields.show` fills the shape,
and the views (`views`, `*_views`) add computed values. The OpenAPI document is made of the same
shapes. All times are ISO 8601 texts in UTC, and amounts are exact decimals as texts.
"""
