"""The admin API below `/__sim`.

`app` lists its calls; a call and the body that it takes stand in a module together. What a call
answers has a shape (`*_shapes`) and is made by a view (`views`, `*_views`): the type checker holds
views to the shapes, and the OpenAPI document is made from them. Everywhere instants are ISO 8601
texts in UTC, and amounts are exact decimals as texts.
"""
