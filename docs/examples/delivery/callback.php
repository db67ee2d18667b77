<?php
// Answers whether a license may be delivered.
//
//   DELIVERY_KID=… DELIVERY_SECRET=… php -S 127.0.0.1:8000 callback.php

// Checks that the license server sent the body, in the last five minutes.
function genuine(string $body): bool
{
    // Two of them while one follows the other.
    $secrets = [getenv('DELIVERY_KID') => hex2bin(getenv('DELIVERY_SECRET'))];
    $secret = $secrets[$_SERVER['HTTP_X_LCP_KEY_ID'] ?? ''] ?? null;
    $timestamp = $_SERVER['HTTP_X_LCP_TIMESTAMP'] ?? '';
    if ($secret === null || !preg_match('/^\d+\z/', $timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $wanted = 'v1=' . hash_hmac('sha256', "v1:$timestamp:$body", $secret);
    return hash_equals($wanted, $_SERVER['HTTP_X_LCP_SIGNATURE'] ?? '');
}

function decide(array $question): array
{
    if ($question['user'] !== 'u1') { // look the loan up in your database
        return [403, ['message' => 'Borrow this book first.', 'redirectUrl' => 'https://shop.example.org/books']];
    }
    return [200, [
        'profile' => ['type' => 'rental', 'relativeExpiration' => 'P14D'],
        'user' => ['name' => 'Zoe', 'encrypted' => ['name']],
        'passHash' => hash('sha256', "the user's passphrase"),
        'textHint' => 'The passphrase of your account',
    ]];
}

$body = file_get_contents('php://input');
[$status, $answer] = genuine($body) ? decide(json_decode($body, true)) : [401, new stdClass()];
http_response_code($status);
header('Content-Type: application/json');
echo json_encode($answer);
