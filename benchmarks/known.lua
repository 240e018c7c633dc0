-- As post.lua, and each request has an id, as the gateway writes it.
dofile(os.getenv("BENCHMARK_SCRIPTS") .. "/post.lua")

local made, last = {}, 0

init = function()
  for number = 1, 4096 do
    wrk.headers["x-turnout-id"] = string.format("%08x-%04x-4000-8000-%012x", number * 2654435761 % 4294967296, number, number)
    made[number] = wrk.format()
  end
end

request = function()
  last = last % #made + 1
  return made[last]
end
