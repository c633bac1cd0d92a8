"""Prior knowledge from a language model: questions, replies, recorded answers."""
