#!/usr/bin/perl
# The provider's relay of this test: takes all mail at port 25 and appends it to a file. Usage: relay.pl FILE
use strict;
use warnings;
use IO::Socket::INET;

my ($file) = @ARGV;
my $listener = IO::Socket::INET->new(LocalPort => 25, Listen => 16, ReuseAddr => 1) or die "port 25: $!";
while (my $client = $listener->accept) {
    print $client "220 relay.provider.example ESMTP\r\n";
    while (defined(my $line = <$client>)) {
        my ($word) = uc($line) =~ /^(\w+)/ or next;
        if ($word eq 'DATA') {
            print $client "354 go ahead\r\n";
            open my $mail, '>>', $file or die "$file: $!";
            while (defined($line = <$client>)) {
                last if $line eq ".\r\n";
                print $mail $line;
            }
            close $mail;
        }
        print $client $word eq 'QUIT' ? "221 bye\r\n" : "250 ok\r\n";
        last if $word eq 'QUIT';
    }
    close $client;
}
