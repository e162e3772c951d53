#!/usr/bin/perl
# Holds every packet that is routed into a TUN device for some milliseconds and gives it back: link delay where the kernel
# has no netem. Usage: delay.pl DEVICE MILLISECONDS
use strict;
use warnings;
use Fcntl qw(O_RDWR O_NONBLOCK);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant TUNSETIFF => 0x400454ca;      # linux/if_tun.h
use constant IFF_TUN_NO_PI => 0x0001 | 0x1000;
use constant PACKETS_MAX => 20_000;        # beyond it packets are dropped, as a full link does
use constant OCTETS_MAX => 65_536;

my ($device, $milliseconds) = @ARGV;
my $delay = $milliseconds / 1000;
sysopen(my $tun, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "cannot open /dev/net/tun: $!\n";
ioctl($tun, TUNSETIFF, pack('a16 S x22', $device, IFF_TUN_NO_PI)) or die "cannot use $device: $!\n";

my @held;
while (1) {
    my $now = clock_gettime(CLOCK_MONOTONIC);
    while (@held && $held[0][0] <= $now) { syswrite($tun, (shift @held)->[1]); }
    my $wait = @held ? $held[0][0] - $now : undef;
    my $ready = '';
    vec($ready, fileno($tun), 1) = 1;
    select($ready, undef, undef, $wait) > 0 or next;
    $now = clock_gettime(CLOCK_MONOTONIC);
    while (sysread($tun, my $packet, OCTETS_MAX)) {
        push @held, [$now + $delay, $packet] if @held < PACKETS_MAX;
    }
}
