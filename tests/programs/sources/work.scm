;; SPDX-License-Identifier: MIT OR Apache-2.0
;; Garbage, a thread, a fork, a child whose output is read.
(use-modules (ice-9 popen) (ice-9 rdelim) (ice-9 threads))
(define (garbage n) (length (map (lambda (i) (make-string 20 #\x)) (iota n))))
(display (list (garbage 50000) (join-thread (call-with-new-thread (lambda () (garbage 50000))))))
(newline)
(gc)
(let ((pipe (open-input-pipe "echo child 2>&1")))
  (display (read-line pipe))
  (newline)
  (display (status:exit-val (close-pipe pipe)))
  (newline))
