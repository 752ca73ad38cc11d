// Whose request is it? For choosing a backend only: nothing is verified here, the backend does that.

const BEARER = /^bearer +[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/i;
const LARGEST_ID = '9223372036854775807';

/**
 * The user id in the bearer token's `sub`, as the decimal text that the cohort is computed over; empty for an anonymous
 * request and for whatever is no token of ours. Never throws: an exception would fail the request.
 */
function userId(r) {
    try {
        const token = BEARER.exec(r.headersIn.Authorization);
        if (token === null) {
            return '';
        }
        const sub = JSON.parse(Buffer.from(token[1], 'base64url').toString()).sub;
        return typeof sub === 'string' && isId(sub) ? sub : '';
    } catch (e) {
        return '';
    }
}

// A positive 64-bit integer in its one decimal spelling. No `$` here: njs lets it match before a last line feed.
function isId(text) {
    if (/[^0-9]/.test(text) || !/^[1-9]/.test(text) || text.length > LARGEST_ID.length) {
        return false;
    }
    return text.length < LARGEST_ID.length || text <= LARGEST_ID;
}

export default { userId };
