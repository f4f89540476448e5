(* SPDX-License-Identifier: MIT OR Apache-2.0 *)
(* Garbage, compaction, a child. *)
let garbage () = List.length (List.init 50000 (fun i -> String.make (i mod 50) 'x'))
let () =
  for _ = 1 to 4 do
    Printf.printf "%d\n%!" (garbage ());
    Gc.compact ()
  done;
  Printf.printf "%d\n" (Sys.command "true")
