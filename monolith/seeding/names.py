"""Words that people, addresses and orders are made of. Addresses are below example.com, which nobody has (RFC 2606)."""

from __future__ import annotations

MAIL_DOMAIN = "seed.example.com"

# Given name, family name, the same for an address.
GIVEN = [
    ("Ada", "ada"),
    ("Amir", "amir"),
    ("Anaïs", "anais"),
    ("Björn", "bjoern"),
    ("Chloé", "chloe"),
    ("Dagný", "dagny"),
    ("Elif", "elif"),
    ("Émile", "emile"),
    ("Fatima", "fatima"),
    ("Grace", "grace"),
    ("Haruka", "haruka"),
    ("İpek", "ipek"),
    ("José", "jose"),
    ("Jürgen", "juergen"),
    ("Kwame", "kwame"),
    ("Leïla", "leila"),
    ("Łukasz", "lukasz"),
    ("Maeve", "maeve"),
    ("Noor", "noor"),
    ("Ólafur", "olafur"),
    ("Priya", "priya"),
    ("Søren", "soeren"),
    ("Thảo", "thao"),
    ("Yusuf", "yusuf"),
    ("Дмитрий", "dmitry"),
    ("Ελένη", "eleni"),
    ("美咲", "misaki"),
    ("محمد", "mohammed"),
    ("지훈", "jihun"),
]
FAMILY = [
    ("Al-Sabah", "al-sabah"),
    ("Andersson", "andersson"),
    ("Brown", "brown"),
    ("Çelik", "celik"),
    ("Dubois", "dubois"),
    ("Fernández", "fernandez"),
    ("García", "garcia"),
    ("Haddad", "haddad"),
    ("Jansen", "jansen"),
    ("Khan", "khan"),
    ("Kowalski", "kowalski"),
    ("Müller", "mueller"),
    ("Nguyễn", "nguyen"),
    ("O'Connor", "oconnor"),
    ("Okafor", "okafor"),
    ("Rossi", "rossi"),
    ("Schmidt", "schmidt"),
    ("Silva", "silva"),
    ("Smith", "smith"),
    ("Tanaka", "tanaka"),
    ("van der Berg", "vanderberg"),
    ("Wang", "wang"),
    ("Yılmaz", "yilmaz"),
    ("Иванов", "ivanov"),
]

# What the users of a currency speak.
LOCALES = {
    "USD": ("en-US", "en", "es"),
    "EUR": ("de", "fr", "nl", "it", "es"),
    "GBP": ("en-GB", "en"),
    "JPY": ("ja",),
    "KWD": ("ar", "en"),
    "BHD": ("ar", "en"),
    "CAD": ("en-CA", "fr-CA"),
    "AUD": ("en-AU",),
    "CHF": ("de-CH", "fr-CH"),
    "SEK": ("sv",),
    "KRW": ("ko",),
}

USER_AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "BanyanApp/4.2 (Android 15)",
    "",
]

BRANDS = [
    ("visa", "4242"),
    ("visa", "1881"),
    ("mastercard", "4444"),
    ("amex", "0005"),
    ("jcb", "0505"),
    ("unionpay", "0005"),
]

# Half of the payments say nothing.
ORDERS = [
    "",
    "",
    "",
    "",
    "Annual report, printed",
    "Café table, oak",
    "Coffee beans, 1 kg",
    "Concert ticket",
    "Consulting, one hour",
    "Donation",
    "Hosting, one month",
    "Kaffeemühle „Größe 2“",
]

# Code, message: how banks say no.
DECLINES = [
    ("card_declined", "Your card was declined."),
    ("insufficient_funds", "Your card has insufficient funds."),
    ("expired_card", "Your card has expired."),
    ("incorrect_cvc", "Your card's security code is incorrect."),
    ("processing_error", "An error occurred while processing your card. Try again in a little bit."),
]

DISPUTE_REASONS = [
    "fraudulent",
    "product_not_received",
    "duplicate",
    "subscription_canceled",
    "unrecognized",
    "general",
]
