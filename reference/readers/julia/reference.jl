# The reference set in Julia: Base alone, from the two CSV files of an item. An example: it was not
# run where this set was made, for want of Julia.
#
#   item = read_item("../../items/seed_case1.reml")
#   numbers(item, "dependent")                       # the doubles, to the bit
#   using MixedModels
#   fit = LinearMixedModel(@formula(dependent ~ predictor + (1 | cluster)), data) |> m -> fit!(m; REML = true)
#   digits(item, "beta", Dict(("Intercept", "") => coef(fit)[1], ("predictor[T.intervention]", "") => coef(fit)[2]))
#   digits(item, "sigma", Dict(("", "") => fit.σ))

struct Item
    columns::Dict{String,Vector{String}}
    values::Dict{Tuple{String,String,String},String}
end

"Cells of a line; those with a comma or a quote are quoted."
function cells(line)
    found, cell, quoted = String[], IOBuffer(), false
    i = firstindex(line)
    while i <= lastindex(line)
        c = line[i]
        following = nextind(line, i)
        if c == '"' && quoted && following <= lastindex(line) && line[following] == '"'
            print(cell, '"')
            following = nextind(line, following)
        elseif c == '"'
            quoted = !quoted
        elseif c == ',' && !quoted
            push!(found, String(take!(cell)))
        else
            print(cell, c)
        end
        i = following
    end
    push!(found, String(take!(cell)))
end

function read_item(folder)
    header, rows... = cells.(eachline(joinpath(folder, "doubles.csv")))
    columns = Dict(name => [row[k] for row in rows] for (k, name) in enumerate(header))
    _, lines... = cells.(eachline(joinpath(folder, "values.csv")))
    Item(columns, Dict((v[1], v[2], v[3]) => v[4] for v in lines))
end

"A numeric column: Julia reads hexadecimal doubles as C99 writes them."
numbers(item::Item, name) = parse.(Float64, item.columns[name])

"The fewest digits that are right, by labels of row and column; an exact 0 has none."
function digits(item::Item, quantity, found)
    setprecision(BigFloat, 256) do
        least = 15.0
        for ((row, column), x) in found
            truth = parse(BigFloat, item.values[quantity, row, column])
            iszero(truth) && continue
            error = abs(x - truth) / abs(truth)
            least = min(least, iszero(error) ? 15.0 : max(0.0, Float64(-log10(error))))
        end
        least
    end
end
