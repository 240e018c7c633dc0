-- As post.lua, and each request has an id and the chosen version, as the gateway writes them.
dofile(os.getenv("BENCHMARK_SCRIPTS") .. "/post.lua")

local made, last = {}, 0

init = function()
  for number = 1, 4096 do
    wrk.headers["x-turnout-id"] = string.format("%08x-%04x-4000-8000-%012x", number * 2654435761 % 4294967296, number, number)
    wrk.headers["x-turnout-arm"] = "digits@1 1"
    made[number] = wrk.format()
  end
end

request = function()
  last = last % #made + 1
  return made[last]
end
