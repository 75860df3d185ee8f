# Verifies every DKIM signature of the mails in the files, with Mail::DKIM and the records
# in a JSON file: verify_mail_dkim.pl RECORDS FILE... One line each: file, algorithm, Mail::DKIM's result.
use strict;
use warnings;
use JSON::PP;
use Mail::DKIM::Verifier;
use Net::DNS;

my $path = shift @ARGV;
open my $in, '<:raw', $path or die "$path: $!";
my $records = decode_json(do { local $/; <$in> });

package Resolver;
sub new { return bless {}, shift }
sub errorstring { return 'NOERROR' }

sub send {
    my ( $self, $name, $type ) = @_;
    my $packet = Net::DNS::Packet->new( $name, $type );
    my $text = $records->{$name};
    $packet->push( answer => Net::DNS::RR->new( owner => $name, type => 'TXT', txtdata => [ $text =~ /(.{1,255})/g ] ) ) if $text;
    $packet->header->rcode( $text ? 'NOERROR' : 'NXDOMAIN' );
    return $packet;
}

package main;
Mail::DKIM::DNS::resolver( Resolver->new );
for my $file (@ARGV) {
    open my $mail, '<:raw', $file or die "$file: $!";
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT( do { local $/; <$mail> } );
    $verifier->CLOSE;
    print join( "\t", $file, $_->algorithm, $_->result_detail ), "\n" for $verifier->signatures;
}
