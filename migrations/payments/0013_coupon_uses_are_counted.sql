-- How often a coupon was used is the number of its subscriptions that were paid once, on this side and the monolith's. Kept as a number
-- it was written by both sides at once, which is a conflict for each popular coupon. The column's check goes with it.
ALTER TABLE coupon DROP COLUMN times_redeemed;
-- Two that are under way when the last one is taken may both be paid.
ALTER TABLE coupon ADD CONSTRAINT coupon_redemptions_range CHECK (max_redemptions >= 0);
