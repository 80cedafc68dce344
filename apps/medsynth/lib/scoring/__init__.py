"""How well the model's answers agreed with what annotators made of them."""
