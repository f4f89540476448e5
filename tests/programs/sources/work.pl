# SPDX-License-Identifier: MIT OR Apache-2.0
# Memory, forks, children whose output and errors are read as one.
use strict;
use warnings;

my %table = map { $_ => 'x' x ($_ % 50) } 1 .. 50_000;
print scalar(keys %table), "\n";
%table = ();
print `awk 'BEGIN { print 2 }' 2>&1`;
for my $status (1 .. 20) {
    my $child = fork // die;
    exit $status unless $child;
    waitpid $child, 0;
    print $? >> 8, "\n";
}
open my $pipe, '-|', 'sh -c "echo piped; true" 2>&1' or die;
print <$pipe>;
close $pipe or die;
