"""That no lower point exists anywhere: a certified cover of the whole parameter space.

`enclosures` is rounding that is accounted for; `values` encloses log determinants and y'Py at many
points; `bounds` is what lies below y'Py on a whole cell; `cells` are the pieces; `all_free` is y'Py
at infinity; `neighbourhood` is what the local proof covers; `proof` puts them together, and
`extend` begins it from a local optimum.
"""
