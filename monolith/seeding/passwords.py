"""Password hashes of every hasher that Django has, as a site collects them over the years.

All are of one documented password and were made once, at the lowest cost that the hasher accepts: a million users are
seeded without hashing a million times. They protect nothing.
"""

from __future__ import annotations

from payments.management.commands.seed_demo import PASSWORD

__all__ = ["HASHES", "PASSWORD"]

# By the algorithm's name in front of the hash.
HASHES = {
    "pbkdf2_sha256": "pbkdf2_sha256$1000$banyanseed000001$QNRgL/+VN9dileF6xRMiqBnp85YChO3DuKYvH0SzqEg=",
    "pbkdf2_sha1": "pbkdf2_sha1$1000$banyanseed000002$3S1U56pZdm8eghIiSyZzg+ves1I=",
    "argon2": (
        "argon2$argon2id$v=19$m=1024,t=1,p=1$YmFueWFuc2VlZDAwMDAwMw$UVufMbXY85bxNR0XyCkttQbj+qmA0vxHVWZhtGLkhZw"
    ),
    "bcrypt_sha256": "bcrypt_sha256$$2b$04$banyanseed00000000004.olJcl.x.hWJ.wbTZM07376/RC2ybPEe",
    "bcrypt": "bcrypt$$2b$04$banyanseed00000000004.sXjN8.pfkdjNPX/BAfRiYEG6cusiG0e",
    "scrypt": (
        "scrypt$16$banyanseed000006$8$5$S5DL8GnOVYBu9DF9EVsuIf7nmP4ORfHMh+uMtAMI8VgGWmP93tMQZhs07AISlugmY81nP2EDpQP2R66JFBg7cQ=="
    ),
    "md5": "md5$banyanseed000007$eada128a4d62f216846cff74645952cc",
}
