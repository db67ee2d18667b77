<?php
// Prints a token for a loan of 14 days.
//
//   DELIVERY_KID=… DELIVERY_SECRET=… php mint.php ASSET USER
if ($argc !== 3) {
    exit("usage: php mint.php ASSET USER\n");
}

function part(string $data): string
{
    return rtrim(strtr(base64_encode($data), '+/', '-_'), '=');
}

$secret = hex2bin(getenv('DELIVERY_SECRET')); // as lcp secrets add shows it
$header = ['alg' => 'HS256', 'typ' => 'JWT', 'kid' => getenv('DELIVERY_KID')];
$claims = [
    'jti' => bin2hex(random_bytes(16)), // good for one license
    'iat' => time(),
    'optData' => ['userId' => $argv[2]],
    'crt' => [
        'assetId' => $argv[1],
        'profile' => ['type' => 'rental', 'relativeExpiration' => 'P14D'],
        'lcp' => ['print' => 10, 'copy' => 10000],
        'passHash' => hash('sha256', "the user's passphrase"),
        'textHint' => 'The passphrase of your account',
    ],
];
$text = part(json_encode($header)) . '.' . part(json_encode($claims));
echo $text . '.' . part(hash_hmac('sha256', $text, $secret, true)) . "\n";
