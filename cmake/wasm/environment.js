// Programs see the environment that node was given (CONVOY_NUM_THREADS, the tests' GTEST_FILTER); emscripten's own has neither.
Module["preRun"] = () => Object.assign(ENV, process.env);
