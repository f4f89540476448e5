%% SPDX-License-Identifier: MIT OR Apache-2.0
%% Processes with heaps of their own, binaries, carriers that are given back, a port.
-module(work).
-export([main/0]).

main() ->
    Self = self(),
    [spawn(fun() -> Self ! lists:sum(lists:seq(1, 2000 + N)) end) || N <- lists:seq(1, 500)],
    io:format("~p~n", [lists:sum([receive Sum -> Sum end || _ <- lists:seq(1, 500)])]),
    io:format("~p~n", [lists:sum([byte_size(binary:copy(<<0>>, 1 bsl 20)) || _ <- lists:seq(1, 16)])]),
    erlang:garbage_collect(),
    io:format("~s", [os:cmd("echo child 2>&1")]),
    halt(0).
